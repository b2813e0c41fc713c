#!/usr/bin/env bash
# Installs rigd, from the checkout that this file lies in, as a service on a Raspberry Pi or any other Debian machine.
# Safe to run again: what is right already stays as it is, and a config is never overwritten.
set -euo pipefail
umask 022              # the daemon's user must be able to read what is installed
export TMPDIR=/var/tmp # /tmp may be memory, and pip unpacks hundreds of megabytes

usage() {
    cat <<'USAGE'
Usage: systemd/install.sh [options]

  --dry-run      print every command that would be run, and run none (needs no root)
  --now          start the service too (restart it when it runs); otherwise it starts with the next boot
  --uninstall    remove the service and the programs; configuration and sessions stay
  --prefix DIR   where the programs go (default /opt/rigd)
  --python FILE  the system's Python, 3.11 or later (default /usr/bin/python3)
  --board KIND   pi or other, instead of looking (a Pi gets its camera and GPIO packages)
  --root DIR     put only the files, under DIR: for images; no packages, users, programs or services
  --help         this text

After it: edit /etc/rigd/rig.yaml, then  sudo systemctl start rigd  and  journalctl -fu rigd
To command the rig with rigctl, be in the group rigd:  sudo usermod -aG rigd $USER
USAGE
}

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
prefix=/opt/rigd python=/usr/bin/python3 board=auto root=''
dry_run=0 now=0 uninstall=0 stage=/var/tmp/rigd-source
commands=(rigd rigctl) # put on everybody's path
needed_mb=1500 # NumPy, Numba with LLVM and OpenCV unpack to about 600 MB, and pip needs as much again while it works

say() { printf '%s\n' "$*"; }
warn() { printf 'install.sh: note: %s\n' "$*" >&2; }
die() { # MESSAGE FIX
    printf 'install.sh: %s\n  to fix: %s\n' "$1" "$2" >&2
    exit 1
}

run() { # the one place where anything is changed
    if ((dry_run)); then
        printf '+'
        printf ' %q' "$@"
        printf '\n'
    else
        "$@"
    fi
}
must() { # FIX COMMAND...
    local fix=$1
    shift
    run "$@" || die "this failed: $*" "$fix"
}

parse() {
    while (($#)); do
        case $1 in
            --dry-run) dry_run=1 ;;
            --now) now=1 ;;
            --uninstall) uninstall=1 ;;
            --help | -h) usage && exit 0 ;;
            --prefix | --python | --board | --root)
                (($# > 1)) || die "$1 needs a value" "see --help"
                printf -v "${1#--}" '%s' "$2"
                shift
                ;;
            *) die "unknown option $1" "see --help" ;;
        esac
        shift
    done
    prefix=${prefix%/} root=${root%/}
    [[ -z $root ]] || root=$(realpath -m "$root")
    [[ $prefix =~ ^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$ ]] || die "--prefix $prefix is not a plain absolute path" "for example --prefix /opt/rigd"
    # The last three are hidden from the service.
    case $prefix in
        /bin | /dev | /etc | /lib | /opt | /proc | /run | /sbin | /srv | /sys | /tmp | /usr | /var | /home* | /root* | /tmp/*) die "--prefix $prefix is not a folder of its own" \
            "choose a folder that is only for rigd, for example /opt/rigd" ;;
    esac
    case $board in
        auto) board=$(grep -aq 'Raspberry Pi' /proc/device-tree/model 2>/dev/null && echo pi || echo other) ;;
        pi | other) ;;
        *) die "--board $board is not known" "say --board pi or --board other" ;;
    esac
}

check_machine() {
    ((dry_run)) || ((EUID == 0)) || die "this must run as root" "sudo $0 $*   (or look first: $0 --dry-run)"
    local tool arch
    for tool in apt-get dpkg-query dpkg; do
        command -v "$tool" >/dev/null || die "this is no Debian: $tool is missing" "use Raspberry Pi OS (64-bit) or Debian 12 or later"
    done
    arch=$(dpkg --print-architecture)
    # Asked of dpkg: a 64-bit kernel over a 32-bit system is common on a Pi, and uname sees only the kernel.
    case $arch in
        arm64 | amd64) ;;
        *) die "this system is $arch; rigd needs a 64-bit one (arm64 or amd64)" \
            "write 'Raspberry Pi OS (64-bit)' to the card with Raspberry Pi Imager; a Pi 3, 4, 5, Zero 2 or later runs it" ;;
    esac
    command -v "$python" >/dev/null || die "there is no $python" "sudo apt-get install python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is $("$python" --version); rigd needs 3.11 or later" "upgrade to Raspberry Pi OS or Debian 12 (bookworm) or later"
    [[ -e $prefix && ! -d $prefix ]] && die "$prefix is there and is no folder" "move it away, or say --prefix"
    if [[ -d $prefix && ! -e $prefix/pyvenv.cfg && -n $(ls -A "$prefix") ]]; then
        die "$prefix holds something that is not rigd's" "move it away, or say --prefix"
    fi
    check_space
}

check_space() {
    [[ -x $prefix/bin/rigd ]] && return
    local at=$prefix free_mb
    while [[ ! -d $at ]]; do at=$(dirname "$at"); done
    free_mb=$(df -Pm "$at" | awk 'NR == 2 { print $4 }')
    ((free_mb >= needed_mb)) || die "only $free_mb MB are free at $at; $needed_mb MB are needed" \
        "make room (sudo apt-get clean), or say --prefix with a folder on a larger disk"
}

packages() {
    local wanted=(python3-venv) missing=() package
    # The camera stack of a Pi comes only from here, matched to its kernel; lgpio has no wheel for Python 3.13.
    [[ $board == pi ]] && wanted+=(python3-picamera2 python3-lgpio python3-gpiozero)
    for package in "${wanted[@]}"; do
        [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == 'install ok installed' ]] || missing+=("$package")
    done
    if ((${#missing[@]})); then
        say "packages: ${missing[*]}"
        must "is the network up? then: sudo apt-get update" apt-get update -qq
        # Without recommendations: those of picamera2 bring a desktop with them.
        must "sudo apt-get -f install, then run this again (python3-picamera2 is only in Raspberry Pi OS; elsewhere: --board other)" \
            env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        say "packages: all there"
    fi
}

put() { # MODE OWNER SOURCE DESTINATION: returns 0 when it changed something
    local mode=$1 owner=$2 source=$3 to=$root$4 who=()
    cmp -s "$source" "$to" && return 1
    [[ -n $root ]] || who=(-o root -g "$owner")
    must "is the checkout whole (git status), and the disk not full or read-only (df -h, mount)?" install -D -m "$mode" "${who[@]}" "$source" "$to"
}

user() {
    if put 0644 root "$checkout/systemd/rigd.sysusers" /etc/sysusers.d/rigd.conf; then say "user: described"; fi
    [[ -n $root ]] && return
    if ((!dry_run)) && id rigd >/dev/null 2>&1 && [[ $(id -nG rigd) == *plugdev* ]]; then
        say "user: rigd is there"
    else
        must "see /etc/sysusers.d/rigd.conf, or: sudo adduser --system --group rigd" systemd-sysusers /etc/sysusers.d/rigd.conf
    fi
}

constraints() { # prints the constraints file that the system's NumPy asks for, or nothing
    local major
    major=$("$python" -c 'import numpy; print(numpy.__version__.split(".")[0])' 2>/dev/null) || major=''
    # A rehearsal on a Pi that has no NumPy yet: Python 3.11 there means bookworm, whose NumPy is 1.
    if [[ -z $major && $dry_run == 1 && $board == pi ]]; then
        major=$("$python" -c 'import sys; print(1 if sys.version_info < (3, 12) else 2)')
    fi
    if [[ $major == 1 ]]; then printf '%s\n' "$checkout/requirements/pi-numpy1.txt"; fi
}

fingerprint() { # of everything that decides what is in the environment
    local limits=$1
    "$python" -c 'import sys; print(sys.version)'
    [[ -z $limits ]] || cat "$limits"
    cd "$checkout"
    find pyproject.toml rigd drivers stackcore -type f -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
}

programs() {
    local limits mark pip=("$prefix/bin/python" -m pip --disable-pip-version-check --quiet)
    limits=$(constraints)
    mark=$(fingerprint "$limits" | sha256sum | cut -d' ' -f1)
    if [[ -x $prefix/bin/rigd && $(cat "$prefix/.installed" 2>/dev/null) == "$mark" ]]; then
        say "programs: $prefix is up to date"
        return
    fi
    say "programs: $prefix"
    # By its word, not its exit code, which is 0 in a chroot.
    if ((!dry_run)) && [[ $(systemctl is-active rigd.service 2>/dev/null) =~ ^(active|activating|deactivating)$ ]]; then
        ((now)) || die "rigd is running, and its programs would be changed under it" \
            "sudo systemctl stop rigd when the stack is done, or run this with --now (a stack in progress can be resumed)"
        must "systemctl status rigd" systemctl stop rigd.service
    fi
    # --clear makes it afresh after an upgrade of the system's Python, --system-site-packages shows it the packages from apt.
    [[ $("$prefix/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null) == $("$python" -c 'import sys; print(sys.version)') ]] ||
        must "sudo apt-get install python3-venv" "$python" -m venv --clear --system-site-packages "$prefix"
    # From a copy: building in the checkout would leave root's files there.
    if ((!dry_run)); then
        stage=$(mktemp -d)
        trap 'rm -rf "$stage"' EXIT
    fi
    must "is the checkout complete? see: git status" \
        cp -r "$checkout"/{pyproject.toml,README.md,LICENSE,rigd,drivers,stackcore} "$stage/"
    must "is the network up, and PyPI reachable? then run this again; what is done stays done" \
        "${pip[@]}" install --prefer-binary ${limits:+-c "$limits"} "${stage}[pi]"
    local probe='import rigd, numpy, numba, cv2, simplejpeg, yaml'
    [[ $board == pi ]] && probe+=', picamera2, lgpio'
    # In Python's isolated mode, so that the checkout in the working folder is not what is found.
    must "the last line above names what does not fit; sudo rm -r $prefix and run this again" "$prefix/bin/python" -I -c "$probe"
    must "is the disk full?" install -m 0644 /dev/stdin "$prefix/.installed" <<<"$mark"
}

reload() { # an image that is being built has no manager yet to tell
    if ((dry_run)) || [[ -d /run/systemd/system ]]; then must "systemctl status" systemctl daemon-reload; fi
}

documents() {
    local page
    for page in install hardware broker mqtt; do
        put 0644 root "$checkout/docs/$page.md" "$prefix/share/doc/rigd/$page.md" || true
    done
    [[ -z $root ]] || return 0
    local name
    for name in "${commands[@]}"; do
        [[ -e /usr/local/bin/$name ]] || must "is /usr/local/bin there?" ln -s "$prefix/bin/$name" "/usr/local/bin/$name"
    done
}

config() {
    local group=rigd who=(-o root -g rigd)
    [[ -z $root ]] || who=()
    [[ -d $root/etc/rigd ]] || must "is the disk read-only?" install -d -m 0750 "${who[@]}" "$root/etc/rigd"
    if [[ -e $root/etc/rigd/rig.yaml ]]; then
        say "config: /etc/rigd/rig.yaml is kept"
        return
    fi
    say "config: /etc/rigd/rig.yaml, a simulated rig to begin with"
    put 0640 "$group" "$checkout/config/simulated.yaml" /etc/rigd/rig.yaml
}

service() {
    local unit changed=0 to=$root/etc/systemd/system/rigd.service
    unit=$(sed "s|/opt/rigd|$prefix|g" "$checkout/systemd/rigd.service")
    if [[ $(cat "$to" 2>/dev/null) != "$unit" ]]; then
        must "is the disk read-only?" install -D -m 0644 /dev/stdin "$to" <<<"$unit"
        changed=1
    fi
    local rules=0
    if put 0644 root "$checkout/systemd/60-rigd.rules" /etc/udev/rules.d/60-rigd.rules; then rules=1; fi
    [[ -z $root ]] || return 0
    if ((rules)) && command -v udevadm >/dev/null; then
        must "sudo udevadm control --reload" udevadm control --reload
        run udevadm trigger --subsystem-match=usb --subsystem-match=tty --subsystem-match=gpio || warn "new device rights come with a reboot"
    fi
    if ((changed)); then reload; fi
    if ((dry_run)) || ! systemctl is-enabled --quiet rigd.service; then
        must "systemctl status rigd" systemctl enable rigd.service
    fi
    if ((now)); then
        must "see why: journalctl -u rigd -n 50" systemctl restart rigd.service
        say "service: started; journalctl -fu rigd"
    else
        say "service: starts with the next boot, or now: sudo systemctl start rigd"
    fi
}

check_config() {
    run "$prefix/bin/rigd" check /etc/rigd/rig.yaml >/dev/null || warn "/etc/rigd/rig.yaml needs a look: rigd check /etc/rigd/rig.yaml"
}

remove() {
    local file
    if [[ -z $root && -e /etc/systemd/system/rigd.service ]]; then
        must "systemctl status rigd" systemctl disable --now rigd.service
    fi
    for file in /etc/systemd/system/rigd.service /etc/udev/rules.d/60-rigd.rules /etc/sysusers.d/rigd.conf; do
        [[ ! -e $root$file ]] || must "is the disk read-only?" rm "$root$file"
    done
    for file in "${commands[@]}"; do
        [[ -n $root || $(readlink "/usr/local/bin/$file") != "$prefix/bin/$file" ]] || must "as root?" rm "/usr/local/bin/$file"
    done
    [[ ! -e $root$prefix/.installed && ! -d $root$prefix/share/doc/rigd ]] || must "as root?" rm -r "$root$prefix"
    if [[ -z $root ]]; then
        [[ ! -d /var/cache/rigd ]] || must "as root?" rm -r /var/cache/rigd
        reload
    fi
    say "kept: /etc/rigd (config), /var/lib/rigd (sessions), the user rigd and the packages. To remove them too:"
    say "  sudo rm -r /etc/rigd /var/lib/rigd && sudo deluser rigd"
}

main() {
    parse "$@"
    if ((uninstall)); then
        [[ -n $root ]] || ((dry_run)) || ((EUID == 0)) || die "this must run as root" "sudo $0 --uninstall"
        remove
    elif [[ -n $root ]]; then
        user
        documents
        config
        service
    else
        check_machine "$@"
        packages
        user
        programs
        documents
        config
        service
        check_config
    fi
    ((dry_run)) && say "nothing was changed (--dry-run)"
    return 0
}

main "$@"
