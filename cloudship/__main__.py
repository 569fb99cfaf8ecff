"""`python -m cloudship`."""

from cloudship.cli import main

if __name__ == "__main__":
    main()
