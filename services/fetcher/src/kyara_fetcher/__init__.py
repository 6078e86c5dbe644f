"""Magnet link, torrent, files or objects to videos in the store."""
