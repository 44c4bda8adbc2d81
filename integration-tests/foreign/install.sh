#!/bin/sh
# Installs the foreign software of these tests, in the pinned versions, into .cache/ beside this file.
# Wants python3 (3.11 or newer, with venv), node (20 or newer) and npm. Does nothing when all is there already.
set -eu
cd "$(dirname "$0")"

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

stamp=$(cat install.sh install/* | cksum)
[ "$(cat .cache/stamp 2>/dev/null)" = "$stamp" ] && exit 0

for tool in python3 node npm; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' ||
    fail "python3 must be 3.11 or newer and have venv (on Debian: apt install python3-venv)"
node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
    fail "node must be 20 or newer"

rm -rf .cache
mkdir -p .cache/npm

cp install/package.json .cache/npm/
npm install --prefix .cache/npm --loglevel=error --no-package-lock --ignore-scripts --omit=optional \
    --no-audit --no-fund >/dev/null || fail "the npm packages could not be installed"

# A few packages come as source: the pinned setuptools builds them, so that nothing unpinned is fetched.
pip() {
    .cache/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$@"
}
python3 -m venv .cache/venv &&
    pip setuptools==80.9.0 wheel==0.45.1 &&
    pip --no-deps --no-build-isolation --requirement install/requirements.txt ||
    fail "the Python packages could not be installed"

echo "$stamp" >.cache/stamp
