# Puts Debian's packages together to a disk that VMware's machine starts from.
#
#   make.sh PACKAGES WORK     PACKAGES: a folder of .deb files; WORK: an empty folder, which gets disk.raw
#
# Nothing is configured by the packages' own scripts, and nothing is mounted: what a guest of this size needs is
# written below. Run as root, or as the root of a user namespace.
packages=$1 work=$2
root=$work/root
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C.UTF-8 TZ=UTC0
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }

# --- files, and what dpkg would know of them ------------------------------------------------------------------------
mkdir -p "$root"/usr/bin "$root"/usr/sbin "$root"/usr/lib "$root"/usr/lib64 "$root"/var/lib/dpkg
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
for package in "$packages"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --no-same-owner --keep-directory-symlink \
        --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/info/*' \
        --exclude='./usr/share/locale/*' --exclude='./usr/lib/udev/hwdb.d/*' --exclude='./usr/lib/x86_64-linux-gnu/gconv/*'
    dpkg-deb -f "$package" | sed '1a Status: install ok installed'
    echo
done >"$root/var/lib/dpkg/status"
mkdir -p "$root"/dev "$root"/proc "$root"/sys "$root"/run "$root"/root "$root"/tmp "$root"/var/log \
    "$root"/etc/init.d "$root"/etc/network "$root"/boot/grub
release=$(ls "$root/usr/lib/modules")
inside ldconfig
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"

# --- what an administrator wrote ------------------------------------------------------------------------------------
echo web01 >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 web01\n' >"$root/etc/hosts"
cat >"$root/etc/fstab" <<'EOF'
# <file system> <mount point>   <type>  <options>       <dump>  <pass>
# / was on /dev/sda1 during installation
/dev/sda1       /               ext4    errors=remount-ro 0     1
EOF
cat >"$root/etc/network/interfaces" <<'EOF'
auto lo
iface lo inet loopback

auto ens192
iface ens192 inet static
    address 192.168.77.31/24
    gateway 192.168.77.2
EOF
cat >"$root/etc/inittab" <<'EOF'
::sysinit:/etc/init.d/rcS
ttyS0::respawn:/sbin/getty --keep-baud 115200,38400 ttyS0 vt100
tty1::respawn:/sbin/getty 38400 tty1 linux
::ctrlaltdel:/sbin/reboot
EOF
ln -s /bin/busybox "$root/usr/sbin/init"
cat >"$root/etc/init.d/rcS" <<'EOF'
#!/bin/sh
# Starts what this guest has, and says on its serial console what it is called.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -n -o remount,rw /
busybox hostname -F /etc/hostname
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add --type=subsystems
udevadm trigger --action=add --type=devices
udevadm settle
ifup -a
root=$(busybox awk '$2 == "/" { root = $1 } END { print root }' /proc/mounts)
for nic in /sys/class/net/e*; do
    name=${nic##*/}
    driver=$(basename "$(readlink "$nic/device/driver")")
    address=$(ip -4 -o addr show dev "$name" | busybox awk '{ print $4 }')
    echo "guest: root=$root driver=$driver" >/dev/ttyS0
    echo "guest: host=$(busybox hostname) if=$name mac=$(cat "$nic/address") address=$address" >/dev/ttyS0
done
EOF
chmod 755 "$root/etc/init.d/rcS"

# --- an initramfs for the old machine, as its administrator had it made ----------------------------------------------
printf 'vmw_pvscsi\nsd_mod\next4\n' >>"$root/etc/initramfs-tools/modules"
sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
# In the place of devices, which not everybody may make: it takes what is written, and is empty for who reads first.
: >"$root/dev/null"
inside depmod "$release"
inside mkinitramfs -o "/boot/initrd.img-$release" "$release"

# --- the boot loader ------------------------------------------------------------------------------------------------
cat >"$root/boot/grub/grub.cfg" <<EOF
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=0
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class gnu --class os {
	insmod part_msdos
	insmod ext2
	set root='hd0,msdos1'
	linux	/boot/vmlinuz-$release root=/dev/sda1 ro rootdelay=5 no_timer_check console=tty0 console=ttyS0,115200
	initrd	/boot/initrd.img-$release
}
EOF
inside grub-mkimage -O i386-pc -p '(,msdos1)/boot/grub' -o /core.img \
    biosdisk part_msdos ext2 normal linux configfile echo ls search search_fs_uuid serial terminal
mv "$root/core.img" "$root/usr/lib/grub/i386-pc/boot.img" "$work"
rm -rf "$root/dev/null" "$root/usr/lib/grub"

# --- the disk: boot sector, GRUB behind it, one partition from 1 MiB on ----------------------------------------------
disk=$work/disk.raw
truncate -s 320M "$disk"
echo 'start=2048, type=83, bootable' | sfdisk --quiet "$disk"
dd if="$work/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
dd if="$work/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
mke2fs -q -F -t ext4 -E offset=1048576 -d "$root" "$disk" $((319 * 1024))k
