#!/usr/bin/env bash
# kill -9 of each daemon, and of the connections of its services, while a new version boots.
source "$(dirname "$0")/kill.sh"
all_killed_at run
