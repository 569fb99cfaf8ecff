# Replaces the temporary host key that came in the user-data. Piped to `sh -s STEP` over the pinned connection.
#   generate   make new keys beside the old ones, print the public half
#   switch     move them in place, let sshd read them, wipe the temporary key from this disk
# A kill after any line leaves a droplet that answers with the temporary key or with the new one, never with none,
# and the client has written both down before it asks for the switch.
set -eu
umask 077
live=/etc/ssh/ssh_host_ed25519_key
next=/etc/ssh/cloudship_next_ed25519_key

case "$1" in
generate)
    ip rule show | grep -q 169.254.169.254 || {
        echo "the metadata service is open to every user of this droplet" >&2
        exit 1
    }
    rm -f "$next" "$next.pub"
    ssh-keygen -q -t ed25519 -N '' -C "root@$(hostname)" -f "$next"
    cat "$next.pub"
    ;;
switch)
    if [ -f "$next" ]; then
        mv -f "$next.pub" "$live.pub"
        chmod 644 "$live.pub"
        mv -f "$next" "$live"
    fi
    systemctl reload ssh 2>/dev/null || systemctl reload sshd
    for copy in /var/lib/cloud/instance/user-data.txt /var/lib/cloud/instance/user-data.txt.i \
        /var/lib/cloud/instance/cloud-config.txt /var/lib/cloud/instance/obj.pkl \
        /var/lib/cloud/seed/config_drive/openstack/latest/user_data; do
        [ ! -f "$copy" ] || python3 - "$copy" <<'PYTHON'
import pathlib, re, sys
path = pathlib.Path(sys.argv[1])
text = path.read_bytes()
begin, end = rb"-----BEGIN OPENSSH PRIVATE KEY-----", rb"-----END OPENSSH PRIVATE KEY-----"
path.write_bytes(re.sub(begin + rb".*?" + end, lambda found: b"x" * len(found.group()), text, flags=re.DOTALL))
PYTHON
    done
    cat "$live.pub"
    ;;
*)
    echo "generate or switch" >&2
    exit 2
    ;;
esac
