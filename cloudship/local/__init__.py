"""
The local cloud: DigitalOcean's API on this machine, with droplets that are real booted systems.

Nothing here imports the rest of cloudship and the library imports nothing from here: the two meet over
HTTP only, so that a misunderstanding of the API cannot be shared by both sides.
"""
