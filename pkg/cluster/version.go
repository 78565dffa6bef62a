package cluster

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseVersion reads a PostgreSQL version as users write it, X.Y from version 10 on and X.Y.Z before, and
// gives its number as the server reports it: 15.4 is 150004, 9.6.24 is 90624; zero with an error.
// Source: Patroni 4.1, postgresql/misc.py, postgres_version_to_int.
func ParseVersion(s string) (int, error) {
	parts := strings.Split(s, ".")
	numbers := make([]int, len(parts))
	for i, p := range parts {
		n, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil || n < 0 {
			//lint:ignore ST1005 wording of the contract
			return 0, fmt.Errorf("Invalid PostgreSQL version: %s", s)
		}
		numbers[i] = n
	}
	switch {
	case len(numbers) == 2 && numbers[0] >= 10:
		return numbers[0]*10000 + numbers[1], nil
	case len(numbers) == 3:
		return numbers[0]*10000 + numbers[1]*100 + numbers[2], nil
	}
	//lint:ignore ST1005 wording of the contract
	return 0, fmt.Errorf("Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: %s", s)
}
