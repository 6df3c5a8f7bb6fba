# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The commands of the guides (Documentation/). Before each block of them a comment says where a test runs it:
#
#	.. run: host		on the host; or target, or both
#	.. run: booted-host	only by boot.sh, where there is systemd
#	.. not run: WHY

GUIDES=$_LIB/../../../../../Documentation

# guide_blocks GUIDE DIRECTORY: writes each block that is to be run into DIRECTORY/NUMBER.SIDE.
guide_blocks() {
	rm -rf "$2"
	mkdir -p "$2"
	awk -v out="$2/" '
		/^\.\. (not )?run: / { side = $2 == "run:" && $1 == ".." ? $3 : "nowhere"; next }
		/^\.\. code-block:: / || /[^:]::$/ { print FILENAME ": line " NR ": write :: alone, after a comment"; exit 1 }
		/^::$/ { if (side == "") { print FILENAME ": line " NR ": who runs this block?"; exit 1 }
			 block = sprintf("%s%03d.%s", out, ++n, side); if (side == "nowhere") block = ""; side = ""; next }
		block && /^    / { print substr($0, 5) > block; next }
		block && /^[^ ]/ { close(block); block = "" }
		END { if (side != "") { print FILENAME ": a comment without a block"; exit 1 } }' "$GUIDES/$1.rst" >&2
}
