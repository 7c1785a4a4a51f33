#!/bin/sh
# Runs the job records of a file as an array of Slurm, one record a task:
#
#     sbatch --array=1-$(wc -l < jobs.ndjson)%8 slurm-array.sh jobs.ndjson [OPTION...]
#
# The options are those of 'codex-agent run --jobs'. The events of task N are in events-N.ndjson, in the directory of
# sbatch. A task that Slurm starts again, after the failure of a node, sends no prompt twice; see
# codex-agent-distributed(7).
#SBATCH --open-mode=append
#SBATCH --output=events-%a.ndjson
#SBATCH --error=errors-%a.txt
set -eu
records=${1:?a file with job records is missing}
shift
sed -n "${SLURM_ARRAY_TASK_ID:?this script is run by sbatch --array}p" "$records" |
    codex-agent run --jobs --once --json "$@"
