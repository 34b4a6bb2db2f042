#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# How gatewayctl and the register behave with many devices. In the build folder:
#
#     make gatewayctl bench/register && sh SOURCE/bench/register.sh [COUNT]
set -e
count=${1:-100000}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/state"
printf 'gateway = { state_directory = "%s/state"; control_socket = "%s/c"; };\n' \
	"$folder" "$folder" >"$folder/gateway.conf"
printf '%s devices\n' "$count"
bench/register "$folder/state" "$count"

measure() {
	start=$(date +%s%N)
	./gatewayctl -c "$folder/gateway.conf" "$@" >"$folder/out" 2>/dev/null
	end=$(date +%s%N)
	printf '%-44s %6d ms  %9d bytes\n' "gatewayctl $*" $(((end - start) / 1000000)) \
		"$(wc -c <"$folder/out")" | sed "s|$folder|DIR|"
}

measure devices
measure devices -o yaml
measure devices -o json
measure devices show device000077
measure devices --expiring 100y
measure devices --pending
measure audit --since 1min
measure group device000077 other
measure revoke device000077
measure fleet export "$folder/fleet.yaml"
measure fleet apply --dry-run "$folder/fleet.yaml"
sed 's/group7/groupX/' "$folder/fleet.yaml" >"$folder/changed.yaml"
measure fleet apply "$folder/changed.yaml"
