# Deals the lines of ROOT/input/text.txt out to ROOT/parts/part-0.txt ... part-7.txt.
# usage: sh split.sh ROOT
mkdir -p "$1/parts"
awk -v dir="$1/parts" '{ print > (dir "/part-" (NR % 8) ".txt") }' "$1/input/text.txt"
