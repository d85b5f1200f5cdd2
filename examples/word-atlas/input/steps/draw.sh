# Draws the most frequent words of four letters or more as ROOT/output/words.svg, and sums up in ROOT/output/summary.txt.
# usage: sh draw.sh ROOT
mkdir -p "$1/output"
top=$(mktemp)
awk 'length($2) >= 4 && ++n <= 15' "$1/merged.txt" > "$top"
awk '
  { count[NR] = $1; word[NR] = $2; if ($1 > most) most = $1 }
  END {
    height = 64 + NR * 26
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"%d\" font-family=\"sans-serif\">\n", height
    print "<rect width=\"100%\" height=\"100%\" fill=\"#fbfaf7\"/>"
    print "<text x=\"24\" y=\"34\" font-size=\"18\" fill=\"#22333b\">Words of four letters or more</text>"
    for (i = 1; i <= NR; i++) {
      y = 52 + (i - 1) * 26
      wide = 420 * count[i] / most
      printf "<text x=\"150\" y=\"%d\" font-size=\"14\" text-anchor=\"end\" fill=\"#22333b\">%s</text>\n", y + 15, word[i]
      printf "<rect x=\"160\" y=\"%d\" width=\"%.1f\" height=\"20\" rx=\"3\" fill=\"#2a7f8e\"/>\n", y, wide
      printf "<text x=\"%.1f\" y=\"%d\" font-size=\"12\" fill=\"#5b6b70\">%d</text>\n", 166 + wide, y + 15, count[i]
    }
    print "</svg>"
  }' "$top" > "$1/output/words.svg"
{
  awk '{ total += $1 } END { printf "%d words, %d different ones\n\n", total, NR }' "$1/merged.txt"
  awk '{ bar = ""; for (i = 0; i < $1; i++) bar = bar "#"; printf "%12s %s %d\n", $2, bar, $1 }' "$top"
  for file in "$1"/concordance/*.txt; do
    name=${file##*/}
    printf '\n%s: %d places, such as\n' "${name%.txt}" "$(wc -l < "$file")"
    head -2 "$file"
  done
} > "$1/output/summary.txt"
echo "drew $(wc -c < "$1/output/words.svg") bytes of SVG"
rm "$top"
