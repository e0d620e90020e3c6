#!/usr/bin/env bash
# kill -9 of each daemon, and of the connections of its services, while the routes move to a new version.
source "$(dirname "$0")/kill.sh"
all_killed_at switch
