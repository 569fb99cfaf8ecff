"""
Campaigns: each case breaks one thing at one point of a command, and is judged by a process that saw nothing.

    cloudbox.py   a local cloud without machines in a process of its own, with seven foreign objects in it
    machine.py    what stands for a booted droplet at the seams of SSH, git and HTTP
    points.py     the boundaries that a command crosses, counted by name, and what happens at one of them
    case.py       one command in a fork of a preloaded parent, with its output
    disk.py       what a crash of the machine leaves of a folder: acts recorded, and played again with some lost
    crash.py      a user's machine that crashes, and what is judged then
    conditions.py what may be wrong with a user's machine; spoiled.py its files, sleep.py its sleep, client.py judges
    oracle.py     the judgement: `down` in a fresh fork, then account, files and output are looked at
"""
