namespace tramontane {}
