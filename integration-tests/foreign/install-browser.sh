#!/bin/sh
# Installs Chromium, its driver, and Prometheus from Debian, for the tests of the admin listener. Wants to be root for that.
# Does nothing when all is there already.
set -eu

have() {
    for tool in chromium chromedriver prometheus promtool; do
        command -v "$tool" >/dev/null || return 1
    done
}

have && exit 0
[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || {
    echo "chromium, chromedriver, prometheus or promtool is missing, and they can be installed on Debian as root only" >&2
    exit 1
}
{
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver prometheus
} >/dev/null || {
    echo "chromium, chromium-driver and prometheus cannot be installed" >&2
    exit 1
}
have
