"""Jobs: the JobService API, the pipelines as durable workflows, recipes as data."""
