"""How fast Rollcall is, told as ratios against bare floors that are measured in the same run."""
