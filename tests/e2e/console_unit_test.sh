#!/usr/bin/env bash
# The unit tests of the web console (webui/tests). They need no platform, but the packages that built the console.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
if [ ! -e webui/node_modules/vitest ]; then
  echo "Bail out! the console's packages are not installed: remove webui/dist, and ./dev test e2e installs them"
  exit 1
fi
# Names without the time that each test took, so that they are the same in every run.
npm --prefix webui --silent test -- --reporter=tap-flat | sed -E 's/ # time=[0-9.]+ms$//'
