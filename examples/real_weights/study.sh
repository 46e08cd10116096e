#!/bin/bash
# Real weights in a family of networks: layers and sizes, thresholds, chance level, rotations.
#
#   study.sh DATA OUT      DATA: a concept set in Broden's layout; OUT: folder of runs and figures
#
# NETWORKS, QUANTILES, IMAGES (of shapes), FOLDS, PERMUTATIONS, ALPHA, REPEATS and SETS change the study.
# What is there already is not computed again.
set -euo pipefail
DATA=$1
OUT=$2
NETWORKS=${NETWORKS:-lite0 lite1 lite2}
SETS=${SETS:-camvid shapes}
IMAGES=${IMAGES:-100}
QUANTILES=${QUANTILES:-0.0025,0.005,0.01,0.02,0.04}
FOLDS=${FOLDS:-20}
PERMUTATIONS=${PERMUTATIONS:-50}
ALPHA=${ALPHA:-0,0.25,0.5,0.75,1}
REPEATS=${REPEATS:-5}
ND=${ND:-nd}

# the last blocks of the fifth and sixth stages, and the features behind the last convolution
declare -A MIDDLE=([lite0]=_blocks.10 [lite1]=_blocks.14 [lite2]=_blocks.14)
declare -A LATE=([lite0]=_blocks.14 [lite1]=_blocks.19 [lite2]=_blocks.19)
FEATURES='_swish#1'

mkdir -p "$OUT"
for set in $SETS; do
    concepts="broden:$DATA"
    if [ "$set" = shapes ]; then concepts="shapes?images=$IMAGES"; fi
    runs=()
    for network in $NETWORKS; do
        model="nd_torch.zoo:efficientnet_$network"
        common=("$model" -c "$concepts" --workers 0 --no-pictures --quiet)
        run="$OUT/$set/layers/$network"
        sweep="$OUT/$set/thresholds/$network"
        rotation="$OUT/$set/rotations/$network"
        layers="${MIDDLE[$network]},${LATE[$network]},$FEATURES"
        [ -d "$run" ] || $ND dissect "${common[@]}" -l "$layers" -o "$run" \
            --folds "$FOLDS" --permutations "$PERMUTATIONS" > /dev/null
        [ -d "$sweep" ] || $ND dissect "${common[@]}" -l "${MIDDLE[$network]}" -o "$sweep" \
            --quantile "$QUANTILES" --folds "$FOLDS" --permutations "$PERMUTATIONS" > /dev/null
        [ -d "$rotation" ] || $ND rotate "${common[@]}" -l "${MIDDLE[$network]}" -o "$rotation" \
            --alpha "$ALPHA" --repeats "$REPEATS" > /dev/null
        # blocks end in a linear map, the features in a ReLU6: their basis, of the first network only
        features="$OUT/$set/rotations/$network-features"
        if [ "$network" = "${NETWORKS%% *}" ] && [ "$set" = "${SETS%% *}" ]; then
            [ -d "$features" ] || $ND rotate "${common[@]}" -l "$FEATURES" -o "$features" \
                --alpha 0,1 --repeats "$REPEATS" > /dev/null
            $ND rotate --quiet --from "$features" --json > "$OUT/$set-$network-features-rotation.json"
        fi
        $ND report "$sweep" --quiet --plot "$OUT/$set-$network-labels.png" --plot-kind quantiles
        $ND report "$sweep" --quiet --plot "$OUT/$set-$network-iou.png" --plot-kind quantile-iou
        $ND rotate --quiet --from "$rotation" --plot "$OUT/$set-$network-rotation.png" > /dev/null
        $ND report "$run" --quiet --json > "$OUT/$set-$network-layers.json"
        $ND report "$sweep" --quiet --json > "$OUT/$set-$network-thresholds.json"
        $ND rotate --quiet --from "$rotation" --json > "$OUT/$set-$network-rotation.json"
        runs+=("$run")
    done
    if [ "${#runs[@]}" -gt 1 ]; then
        $ND report "${runs[@]}" --quiet --plot "$OUT/$set-layers.png"
    fi
done
