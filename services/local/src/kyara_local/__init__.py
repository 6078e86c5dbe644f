"""`kyara up`: starts the same entry points as the cluster does, on one machine, and keeps them alive."""
