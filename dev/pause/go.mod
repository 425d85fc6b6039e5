module crucible.dev/dev/pause

go 1.26
