# The dynamic step: looks at the merged counts and writes an FWAction that adds one concordance step for each of the four
# most frequent words of six letters or more. They are detours: what comes after this step waits for them too.
# usage: sh plan.sh ROOT FILE docker|script
set -e
words=$(awk '$2 ~ /^[a-z]+$/ && length($2) >= 6 && ++n <= 4 { print $2 }' "$1/merged.txt")

docker_task() {
  cat << TASK
    {"_fw_name": "{{borealis.docker_task.DockerTask}}", "name": "concordance of $1",
     "image": "borealis-demo:1", "pull": "missing",
     "internal_prefix": "/work", "storage_prefix": "sandbox/word-atlas",
     "inputs": ["/work/input/text.txt", "/work/input/steps/concordance.sh"],
     "outputs": [">/work/concordance/$1.txt"],
     "command": ["sh", "/work/input/steps/concordance.sh", "/work", "$1"], "timeout": 120}
TASK
}

script_task() {
  cat << TASK
    {"_fw_name": "ScriptTask", "script": "set -e; \
borealisctl storage cp gs://sandbox/word-atlas/input/ input/; \
sh input/steps/concordance.sh . $1 > $1.txt; \
borealisctl storage cp $1.txt gs://sandbox/word-atlas/concordance/"}
TASK
}

{
  echo "{\"stored_data\": {\"words\": \"$(echo $words)\"}, \"detours\": ["
  between=
  for word in $words; do
    echo "$between{\"name\": \"concordance of $word\", \"spec\": {\"_tasks\": ["
    "$3_task" "$word"
    echo ']}}'
    between=,
  done
  echo ']}'
} > "$2"
echo "These words get a concordance:" $words
