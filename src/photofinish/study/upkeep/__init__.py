"""Looking after folders of runs: what there is, whether it is sound, what can go."""
