"""The clusterer: crops and their CCIP vectors to characters."""
