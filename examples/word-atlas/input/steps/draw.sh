# Draws ROOT/output/atlas.svg (the most frequent words, and where in the text the words with a concordance stand), puts it
# on a page with the concordances, ROOT/output/index.html, and sums up in ROOT/output/summary.txt.
# usage: sh draw.sh ROOT
set -e
out=$1/output
mkdir -p "$out"

awk -v merged="$1/merged.txt" -v text="$1/input/text.txt" '
  function esc(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); return s }
  function label(x, y, size, colour, anchor, s) {
    printf "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" fill=\"%s\" text-anchor=\"%s\">%s</text>\n", x, y, size, colour, anchor, esc(s)
  }
  # The lines of all concordances: the word is the name of the file, the line of the text comes first.
  {
    name = FILENAME; sub(/.*\//, "", name); sub(/\.txt$/, "", name)
    if (name != last) { row[++rows] = name; last = name }
    at[rows, ++places[rows]] = $1
  }
  END {
    ink = "#1d3040"; grey = "#667680"; left = 132; wide = 560
    while ((getline line < text) > 0) {
      lines++
      if (title == "" && line != "") title = line
      if (line ~ /^CHAPTER /) { chapter[++chapters] = lines; number[chapters] = substr(line, 9) }
    }
    while ((getline line < merged) > 0) {
      split(line, field, " "); all += field[1]; different++
      if (length(field[2]) >= 5 && bars < 14) { word[++bars] = field[2]; count[bars] = field[1] }
    }
    strips = 128 + bars * 24
    height = strips + 46 + rows * 34
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"%d\" viewBox=\"0 0 760 %d\" font-family=\"Helvetica, Arial, DejaVu Sans, sans-serif\">\n", height, height
    print "<rect width=\"100%\" height=\"100%\" fill=\"#fbfaf6\"/>"
    label(24, 38, 20, ink, "start", title)
    label(24, 60, 13, grey, "start", all " words, " different " different ones; below, the most frequent of five letters or more")
    for (i = 1; i <= bars; i++) {
      y = 80 + (i - 1) * 24
      length_ = wide * count[i] / count[1]
      label(left - 10, y + 13, 13, ink, "end", word[i])
      printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"17\" rx=\"2\" fill=\"#2b7a8c\" fill-opacity=\"%.2f\"/>\n", left, y, length_, 0.55 + 0.45 * count[i] / count[1]
      label(left + length_ + 7, y + 13, 12, grey, "start", count[i])
    }
    label(24, strips, 13, grey, "start", "Where the words with a concordance stand, by chapter")
    for (c = 1; c <= chapters; c++) {
      x = left + wide * chapter[c] / lines
      printf "<path d=\"M%.1f %dV%d\" stroke=\"#c9cfd2\" stroke-dasharray=\"2 3\"/>\n", x, strips + 14, height - 16
      label(x + 4, strips + 22, 11, grey, "start", number[c])
    }
    for (r = 1; r <= rows; r++) {
      y = strips + 30 + (r - 1) * 34
      label(left - 10, y + 16, 13, ink, "end", row[r])
      printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"22\" rx=\"2\" fill=\"#e9eceb\" fill-opacity=\"0.7\"/>\n", left, y, wide
      printf "<path d=\""
      for (p = 1; p <= places[r]; p++) printf "M%.1f %dv22", left + wide * at[r, p] / lines, y
      print "\" stroke=\"#c8553d\" stroke-width=\"1.6\" stroke-opacity=\"0.8\"/>"
      label(left + wide + 7, y + 16, 12, grey, "start", places[r])
    }
    print "</svg>"
  }
' "$1"/concordance/*.txt > "$out/atlas.svg"

{
  echo '<!doctype html><meta charset="utf-8"><title>Word atlas</title>'
  echo '<style>body{max-width:760px;margin:2em auto;font-family:Helvetica,Arial,sans-serif;color:#1d3040;background:#fbfaf6}'
  echo 'pre{font-size:12px;line-height:1.5;overflow-x:auto}b{color:#c8553d}</style>'
  cat "$out/atlas.svg"
  for file in "$1"/concordance/*.txt; do
    word=${file##*/}
    echo "<h2>${word%.txt}</h2><pre>"
    sed -e 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/\[\(.*\)\]/<b>\1<\/b>/' "$file"
    echo '</pre>'
  done
} > "$out/index.html"

{
  awk '{ all += $1 } END { printf "%d words, %d different ones\n\n", all, NR }' "$1/merged.txt"
  awk 'length($2) >= 5 && ++n <= 14 {
    if (n == 1) most = $1
    bar = sprintf("%50s", ""); gsub(/ /, "#", bar)
    printf "%14s %s %d\n", $2, substr(bar, 1, 50 * $1 / most + 0.5), $1
  }' "$1/merged.txt"
  for file in "$1"/concordance/*.txt; do
    word=${file##*/}
    printf '\n%s: %d places, such as\n' "${word%.txt}" "$(wc -l < "$file")"
    head -n 2 "$file"
  done
} > "$out/summary.txt"

echo "Drew $(wc -c < "$out/atlas.svg") bytes of SVG"
