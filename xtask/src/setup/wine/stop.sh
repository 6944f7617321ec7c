#!/bin/sh
# stop: ends all that runs in the prefix $WINEPREFIX, and waits for it.
"@SERVER@" -k
exec "@SERVER@" -w
