#!/bin/sh
# holdfast.sh PLAN: runs a plan as a pipeline's job does, leaves its reports in holdfast/, and holds it against an earlier
# run. docs/pipelines.md explains it; it needs jq, and TEMPORAL_ADDRESS and HOLDFAST_DATABASE_URL as the worker has them.
set -u
plan=$1
mkdir -p holdfast
rm -f holdfast/*

name=$(holdfast validate "$plan" --json | jq -er .plan) || exit 2
# A run that everybody agreed on, or else the newest one that came to a verdict.
before=${HOLDFAST_BEFORE:-$(holdfast list --plan "$name" --status completed --limit 1 --json | jq -r '.[0].execution_id // empty')}

holdfast run "$plan" --yes --json holdfast/outcome.json --html holdfast/report.html \
    --junit holdfast/junit.xml --markdown holdfast/summary.md
code=$?

# 0 and 1 are verdicts, of which a comparison says more; all else is no matter of one.
if [ "$code" -le 1 ] && [ -n "$before" ]; then
    holdfast compare "$before" "$(jq .summary.execution_id holdfast/outcome.json)" >holdfast/compare.txt
    gate=$?
    cat holdfast/compare.txt
    { echo '### Since then'; echo; echo '```'; cat holdfast/compare.txt; echo '```'; } >>holdfast/summary.md
    case "${HOLDFAST_GATE:-verdict}" in
        verdict) if [ "$code" -eq 0 ] && [ "$gate" -eq 1 ]; then code=1; fi ;;   # it must pass, and nothing may be worse
        compare) code=$gate ;;                                                  # known failures are no news
    esac
fi

if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f holdfast/summary.md ]; then
    cat holdfast/summary.md >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
