"""
A cloud that misbehaves on demand: what can go wrong, for how many requests or objects, and where it is applied.

    values.py      every kind of fault, as a typed body of the control API
    operations.py  which requests a fault is for
    book.py        the faults that wait for their turn
    wire.py        faults of one answer: between the client and the routes, so that every operation has them
    world.py       faults of the account itself: what is shown, hidden, refused or not carried out
    record.py      the requests that were seen
"""
