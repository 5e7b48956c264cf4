# sh -eu initramfs.sh ROOT GENERATOR COMPRESSOR [DRIVER...]
#
# Gives the Debian guest whose root is mounted at ROOT the initramfs generator GENERATOR (initramfs-tools or dracut,
# hostonly), which makes its image anew with COMPRESSOR, for the old machine's DRIVERs only. The guest's own apt, from
# the guest's own sources, installs what is missing. Ends badly when the image has virtio in it, or another compressor.
R=$1 generator=$2 compressor=$3
shift 3
kernel=$(basename "$R"/lib/modules/*)
image=/boot/initrd.img-$kernel
in_guest() {
    chroot "$R" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root TERM=dumb \
        DEBIAN_FRONTEND=noninteractive INITRD=No "$@"
}
trap 'for at in tmp run sys proc dev; do ! mountpoint -q "$R/$at" || umount "$R/$at"; done' EXIT
for at in dev proc sys; do mount --bind "/$at" "$R/$at"; done
for at in run tmp; do mount -t tmpfs "rig-$at" "$R/$at"; done

case $compressor in xz) packages=xz-utils ;; *) packages=$compressor ;; esac
[ "$generator" = initramfs-tools ] || packages="$packages cpio"
cp "$R/etc/resolv.conf" "$R/tmp/resolv.conf"
cat /etc/resolv.conf >"$R/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$R/usr/sbin/policy-rc.d"
chmod 755 "$R/usr/sbin/policy-rc.d"
in_guest apt-get -qq update
# shellcheck disable=SC2086
in_guest apt-get -qqy --no-install-recommends install "$generator" $packages >/dev/null
in_guest apt-get -qq clean
rm -rf "$R/usr/sbin/policy-rc.d" "$R"/var/lib/apt/lists/*
cat "$R/tmp/resolv.conf" >"$R/etc/resolv.conf"

case $generator in
initramfs-tools)
    sed -i "s/^COMPRESS=.*/COMPRESS=$compressor/" "$R/etc/initramfs-tools/initramfs.conf"
    in_guest update-initramfs -u -k "$kernel"
    in_guest lsinitramfs "$image" >"$R/tmp/list" ;;
dracut)
    printf 'hostonly="yes"\nhostonly_cmdline="no"\ncompress="%s"\n' "$compressor" >"$R/etc/dracut.conf.d/10-hostonly.conf"
    # What hostonly finds is this machine, not the guest's: its virtio is kept out, the guest's drivers are named.
    in_guest dracut --quiet --force --kver "$kernel" --add-drivers "$*" \
        --omit-drivers 'virtio virtio_ring virtio_pci virtio_pci_modern_dev virtio_pci_legacy_dev virtio_mmio virtio_blk virtio_scsi virtio_net' \
        "$image"
    in_guest lsinitrd "$image" | sed '1,/^=====/d' | grep -v '^Arguments: ' >"$R/tmp/list" ;;
esac
grep -q 'sd_mod\.ko\|nvme\.ko' "$R/tmp/list" || { echo "the initramfs has no driver for disks"; exit 1; }
! grep 'virtio[^/]*\.ko' "$R/tmp/list" || { echo "the initramfs has virtio drivers"; exit 1; }
case $compressor in gzip) magic=1f8b ;; xz) magic=fd37 ;; zstd) magic=28b5 ;; lz4) magic=0221 ;; esac
[ "$(od -An -tx1 -N2 "$R$image" | tr -d ' ')" = $magic ] || { echo "the initramfs is not packed with $compressor"; exit 1; }
echo "$generator, $compressor: $(wc -l <"$R/tmp/list") entries, $(($(stat -c %s "$R$image") >> 10)) KiB, no virtio"
fstrim "$R" || true
