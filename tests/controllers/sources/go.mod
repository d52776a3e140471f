module flamboyance/sources

go 1.24
