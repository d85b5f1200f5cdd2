# Prints every place where a word stands: the number of the line and, around the word, what comes before and after.
# usage: sh concordance.sh ROOT WORD
awk -v wanted="$2" '
  { for (i = 1; i <= NF; i++) { text[++n] = $i; line[n] = NR } }
  END {
    for (i = 1; i <= n; i++) {
      many = split(tolower(text[i]), parts, /[^a-z\047]+/)
      for (p = 1; p <= many; p++) {
        gsub(/^\047+|\047+$/, "", parts[p])
        if (parts[p] != wanted) continue
        before = after = ""
        for (j = i - 1; j > 0 && length(text[j] " " before) <= 34; j--) before = text[j] " " before
        for (j = i + 1; j <= n && length(after " " text[j]) <= 34; j++) after = after " " text[j]
        printf "%5d  %34s[%s]%s\n", line[i], before, text[i], after
      }
    }
  }
' "$1/input/text.txt"
