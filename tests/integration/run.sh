#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Run the integration tests: for `make check`, and by hand in the build folder.
# Arguments go to pytest. Status 77 (skip) when pytest or mosquitto is missing.
#
#   GATEWAYD, GATEWAYCTL  programs (default: of this build folder)
#   EMULATOR, FIRMWARE_IMAGE, HOST_DEVICE  the board and its program, likewise
#   MOSQUITTO, PYTHON3    tools
#   INTEGRATION           "no" skips them all (a package build, make distcheck)
#   INTEGRATION_JOBS      test processes side by side (default two per core: they wait a lot)
#   FIRMWARE_SOAK_HOURS   emulated hours of the long run of a board (default 0.5)
#   INTEGRATION_PATIENCE  multiplies every deadline (default 1; 4 under sanitizers)

if [ "${INTEGRATION:-}" = no ]; then
	echo 'skipped: INTEGRATION=no'
	exit 77
fi
build=${BUILD_FOLDER:-$(pwd)}
tests=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 99
python=${PYTHON3:-/usr/bin/python3}

GATEWAYD=${GATEWAYD:-$build/gatewayd}
GATEWAYCTL=${GATEWAYCTL:-$build/gatewayctl}
PAHO_C_CLIENT=${PAHO_C_CLIENT:-$build/tests/integration/paho_c_client}
EMULATOR=${EMULATOR:-$build/mkr1000-emulator}
FIRMWARE_IMAGE=${FIRMWARE_IMAGE:-$build/firmware-minimal/build/firmware-minimal.bin}
HOST_DEVICE=${HOST_DEVICE:-$build/firmware-minimal/tests/host_device}
PYTHONDONTWRITEBYTECODE=1
ARDUINO_FILES=${ARDUINO_FILES:-$build/tests/integration/arduino_files}
export GATEWAYD GATEWAYCTL PAHO_C_CLIENT ARDUINO_FILES EMULATOR FIRMWARE_IMAGE HOST_DEVICE PYTHONDONTWRITEBYTECODE

for module in pytest xdist pytest_timeout cryptography yaml paho.mqtt; do
	if ! "$python" -c "import $module" 2>/dev/null; then
		echo "skipped: $python has no module $module (see packages.txt)"
		exit 77
	fi
done
if [ "${MOSQUITTO:-}" = no ]; then
	unset MOSQUITTO
fi
if ! [ -x "${MOSQUITTO:-}" ] && ! PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto >/dev/null; then
	echo "skipped: mosquitto is missing (see packages.txt)"
	exit 77
fi
for program in "$GATEWAYD" "$GATEWAYCTL"; do
	if ! [ -x "$program" ]; then
		echo "$program is missing: build first"
		exit 99
	fi
done
if [ -z "${INTEGRATION_PATIENCE:-}" ] && grep -q '__[at]san_init' "$GATEWAYD"; then
	INTEGRATION_PATIENCE=4
	export INTEGRATION_PATIENCE
fi

exec "$python" -m pytest -q -n "${INTEGRATION_JOBS:-$((2 * $(nproc)))}" --dist loadfile \
	-c "$tests/pytest.ini" --rootdir "$tests" "${@:-$tests}"
