from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI(title="Squares")


class Square(BaseModel):
    number: int
    square: int


@app.get("/")
async def index() -> dict[str, str]:
    return {"try": "/squares/12", "documentation": "/docs"}


@app.get("/squares/{number}")
async def square(number: int) -> Square:
    return Square(number=number, square=number * number)
