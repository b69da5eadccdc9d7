#!/usr/bin/env bash
# The real components that tests use. As root on Debian the absent ones are installed; elsewhere one line says how.
set -euo pipefail
declare -A packages=([chromium]=chromium [rabbitmq-server]=rabbitmq-server [pg_ctlcluster]=postgresql [redis-server]=redis-server)
missing=()
for command in "${!packages[@]}"; do
    command -v "$command" >/dev/null 2>&1 || [ -x "/usr/sbin/$command" ] || missing+=("${packages[$command]}")
done
if [ ! -x "${KNATIVE_RABBITMQ_BIN:-/nowhere}/ingress" ]; then
    echo "tests of the Knative bus are skipped; to run them: build cmd/ingress and cmd/dispatcher of" \
        "knative.dev/eventing-rabbitmq, and set KNATIVE_RABBITMQ_BIN to their folder"
fi
if [ ! -x "${KUBEBUILDER_ASSETS:-/nowhere}/kube-apiserver" ]; then
    echo "tests of the operator and of pods are skipped; to run them: setup-envtest use, and set KUBEBUILDER_ASSETS to" \
        "the folder that it names (kube-apiserver, etcd, kubectl)"
fi
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ]; then
    export DEBIAN_FRONTEND=noninteractive
    # A package's service must not start on a port of its own: tests start what they need.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    for package in "${missing[@]}"; do
        echo "tests of $package are skipped; to run them: apt-get install $package (or your system's package of it)"
    done
fi
