# The dynamic step: looks at the merged counts and writes an FWAction that adds one concordance step for each of the three
# most frequent long words, as detours: what follows waits for them.
# usage: sh plan.sh ROOT FILE docker|script
words=$(awk 'length($2) >= 8 && ++n <= 3 { print $2 }' "$1/merged.txt")
storage=gs://sandbox/word-atlas
{
  printf '{"stored_data": {"words": "%s"}, "detours": [' "$(echo $words)"
  comma=
  for word in $words; do
    printf '%s\n{"name": "concordance of %s", "spec": {"_tasks": [' "$comma" "$word"
    if [ "$3" = docker ]; then
      printf '{"_fw_name": "DockerTask", "name": "concordance of %s", "image": "borealis-demo:1", "pull": "missing",' "$word"
      printf ' "internal_prefix": "/work", "storage_prefix": "sandbox/word-atlas", "inputs": ["/work/input/"],'
      printf ' "outputs": [">/work/concordance/%s.txt"],' "$word"
      printf ' "command": ["sh", "/work/input/steps/concordance.sh", "/work", "%s"]}' "$word"
    else
      printf '{"_fw_name": "ScriptTask", "script": "set -e; borealisctl storage cp %s/input/ input/;' "$storage"
      printf ' sh input/steps/concordance.sh . %s > c.txt; borealisctl storage cp c.txt %s/concordance/%s.txt"}' "$word" "$storage" "$word"
    fi
    printf ']}}'
    comma=,
  done
  printf ']}\n'
} > "$2"
echo "The longest-winded words: $(echo $words)"
