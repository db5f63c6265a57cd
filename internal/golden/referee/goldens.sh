#!/usr/bin/env bash
# Computes all golden values of networks again: of weights that the formula makes, of training steps, of the dialects, and of
# the published files that lie in FOLDER. Needs what requirements.txt lists, and takes an hour.
#
#     PYTHON=python3 internal/golden/referee/goldens.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
values=${VALUES:-../values}
"$python" zoo.py --out "$values"
"$python" keras_zoo.py --out "$values"
"$python" family_steps.py
"$python" dialects.py --out "${DIALECTS:-../../../tlkit/zoo/testdata/dialects.json}"
if [ $# -gt 0 ]; then
	for referee in zoo.py keras_zoo.py onnx_zoo.py; do
		"$python" "$referee" --out "$values" --weights "$1"
	done
fi
