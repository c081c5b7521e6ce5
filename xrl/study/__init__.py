"""Questions put to the recipes as a whole: who wins, which improvement helps, which setting is best."""
