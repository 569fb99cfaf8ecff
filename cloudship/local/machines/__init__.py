"""The bodies of the local cloud's droplets: one driver per way to boot a Linux system."""
