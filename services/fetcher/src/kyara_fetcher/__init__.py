"""Magnet link, torrent or files to videos in the store."""
