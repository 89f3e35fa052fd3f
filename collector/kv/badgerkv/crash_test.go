package badgerkv_test

func crashChild([]string) (bool, int) { return false, 0 }
