"""
The program on the droplet: first boot, releases, and what the app is.

Standard library only, Python 3.8 (Ubuntu 20.04) and later. It arrives inside the user-data. The client runs the
modules that find out what an app is (`app` and what it imports) from this very package for its preview.
"""
