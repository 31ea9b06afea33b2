# Sourced by scripts that build for a machine without an operating system, at the root of the repository.

# choose_toolchain TARGET NAME FOLDER: who builds for TARGET. NAME is rustup or debian, or empty for whoever can: rustup,
# where it has the target or can add it, else Debian's toolchain, which builds `core` from source (packages rustc-web,
# cargo-web, rust-web-src; installed here when run as root). Sets `cargo`, a command, `toolchain_name` for people, and
# the environment that cargo needs; images come into FOLDER of the target folder. Fails with `why_not` set.
choose_toolchain() {
    local target=$1 toolchain=$2 linker variable
    if [ -z "$toolchain" ]; then
        toolchain=debian
        if has_rustup_target "$target"; then toolchain=rustup; fi
    fi
    case $toolchain in
        rustup)
            cargo=(cargo)
            toolchain_name=$(rustc --version)
            ;;
        debian)
            if ! has_debian_toolchain && ! .ci/install rustc-web cargo-web rust-web-src; then
                why_not="neither rustup nor Debian's toolchain has it"
                return 1
            fi
            linker=$(linker_for "$target") || { .ci/install lld && linker=$(linker_for "$target"); } ||
                { why_not="no linker: install lld"; return 1; }
            cargo=(/usr/bin/cargo -Zbuild-std=core)
            toolchain_name="$(/usr/bin/rustc --version), core from source"
            export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
            # As cargo wants it: CARGO_TARGET_THUMBV7EM_NONE_EABI_LINKER.
            variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")
            export "${variable}_LINKER=$linker"
            case $linker in *arm-none-eabi-ld) export "${variable}_RUSTFLAGS=-Clinker-flavor=ld" ;; esac
            ;;
        *)
            why_not="a toolchain is rustup or debian, not '$toolchain'"
            return 1
            ;;
    esac
    # Two compilers in one folder would build everything anew at each change.
    CARGO_TARGET_DIR=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)/$3-$toolchain
    export CARGO_TARGET_DIR
}

has_rustup_target() {
    command -v rustup >/dev/null || return 1
    rustup target list --installed | grep -qx "$1" || timeout 120 rustup target add "$1" >/dev/null 2>&1
}

has_debian_toolchain() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ]
}

linker_for() {
    case $1 in
        thumb*) first_of ld.lld arm-none-eabi-ld ;;
        *) first_of ld.lld ;;
    esac
}

first_of() {
    local name
    for name in "$@"; do
        if command -v "$name"; then return; fi
    done
    return 1
}
