#!/usr/bin/env bash
# Check the golden values on another processor, emulated: tools/emulated.sh aarch64, or s390x, which is big-endian.
#
# Needs Debian's debootstrap, dpkg and gcc-<processor>-linux-gnu, Rust's standard library for the target (rustup target
# add <processor>-unknown-linux-gnu), and qemu-user of version 10: version 7 multiplies wrongly on s390x (MDEBR).
# SEEDBED_RUSTC_ARGUMENTS are passed to the compiler: -Zcrate-attr=feature(...) for one older than this package requires.
set -euo pipefail
cd "$(dirname "$0")/.."

processor=${1:?"usage: tools/emulated.sh PROCESSOR, such as aarch64 or s390x"}
case $processor in
    aarch64) debian=arm64 ;;
    *) debian=$processor ;;
esac
target=$processor-unknown-linux-gnu
folder=$PWD/build/emulated/$processor
root=$folder/root
site=$folder/site

if [ ! -e "$root/usr/bin/python3" ]; then
    rm -rf "$root"
    debootstrap --foreign --arch="$debian" --variant=minbase --include=python3,python3-numpy bookworm "$root"
    for package in "$root"/var/cache/apt/archives/*.deb; do  # --foreign unpacks only a few of them
        dpkg -x "$package" "$root"
    done
fi

rm -rf "$site"
mkdir -p "$site"
python3 -m pip install --quiet --only-binary :all: --python-version 3.11 --platform "manylinux_2_28_$processor" \
    --target "$site" ml_dtypes || echo "no ml_dtypes for $processor: bfloat16 is left out"

export "CARGO_TARGET_$(tr a-z- A-Z_ <<< "$target")_LINKER=$processor-linux-gnu-gcc"
export PYO3_BUILD_EXTENSION_MODULE=1  # the interpreter provides Python's symbols at load time
cargo rustc --ignore-rust-version --release --lib --crate-type cdylib --features python --target "$target" --target-dir "$folder/target" \
    -- ${SEEDBED_RUSTC_ARGUMENTS:-}
cp -r python/seedbed "$site"
cp "$folder/target/$target/release/libseedbed.so" "$site/seedbed/_core.abi3.so"

exec env PYTHONPATH="$site" "qemu-$processor" -L "$root" \
    -E LD_LIBRARY_PATH="$(cd "$root" && printf '/%s:' usr/lib/*-linux-gnu/{blas,lapack})" \
    "$root/usr/bin/python3" tests/golden/make.py --check
