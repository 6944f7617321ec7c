#!/bin/sh
# run PROGRAM ARGUMENTS...: runs a Windows program in $WINEPREFIX, else in one prefix for all.
#
# A prefix that does not exist is cloned, and booted cut off from the caller's pipes: Wine's
# services would else be children of the first program, hold its output open, and whoever reads
# that would wait for them. They live on for $WINE_PERSIST seconds after the last program.
: "${WINEPREFIX:=@FOLDER@/prefix}"
export WINEPREFIX WINEARCH=win64 WINEDEBUG="${WINEDEBUG:--all}"
export WINEDLLOVERRIDES="${WINEDLLOVERRIDES:-@OVERRIDES@}"
export GOFLEET_TEST_ARCHIVES="Z:${GOFLEET_TEST_ARCHIVES:-@ARCHIVES@}"
mkdir -p "$(dirname "$WINEPREFIX")"
# The shared lock: not while another one boots the prefix, or we would become its first program.
if ! { flock -s 8; "@SERVER@" -k0; } 8>>"$WINEPREFIX.lock" 2>/dev/null; then
  {
    flock 8
    [ -d "$WINEPREFIX/drive_c" ] || "@FOLDER@/clone" "@FOLDER@/template" "$WINEPREFIX"
    "@SERVER@" -k0 || {
      "@SERVER@" -p"${WINE_PERSIST:-60}"
      "@WINE@" wineboot
    } 8>&-
  } 8>>"$WINEPREFIX.lock" </dev/null >/dev/null 2>&1
fi
exec "@WINE@" "$@"
