#!/bin/sh
# The program's door: unpacks it at its first use, whoever comes first, and runs a verb.
cd /opt/cloudship || exit 1
if [ ! -d droplet ]; then
    exec 9>unpack.lock
    flock 9
    [ -d droplet ] || python3 -c 'import tarfile; tarfile.open("droplet.tar.bz2").extractall("new")' || exit 1
    [ -d droplet ] || { cp -R new/files/. / && mv new/droplet droplet && rm -r new; }
    exec 9>&-
fi
[ "$1" = unpack ] && exit 0
PYTHONPATH=/opt/cloudship exec python3 -m droplet "$@"
