"""Models and model runs of a prelabel server, used as those of one's own data directory: `prelabel.Client(URL)`."""
