"""Questions about an installation that operators ask: each is answered by a `Check`, on a page or in a terminal."""
