#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The corpus of fuzz_winc_hif, and mutations of it.
exec ./firmware-minimal/tests/fuzz_winc_hif \
	"${srcdir:-.}"/firmware-minimal/tests/corpus/winc-hif/*
