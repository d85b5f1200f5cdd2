# Prints every place where a word stands, with some words around it.
# usage: sh concordance.sh ROOT WORD
awk -v word="$2" '{
  for (i = 1; i <= NF; i++) {
    w = tolower($i); gsub(/[^a-z]/, "", w)
    if (w != word) continue
    line = ""
    for (j = i - 4; j <= i + 4; j++) if (j >= 1 && j <= NF) line = line " " $j
    printf "line %d:%s\n", NR, line
  }
}' "$1/input/text.txt"
