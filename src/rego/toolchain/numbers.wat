;; Functions of OPA's module that read numbers, in place of its own (numbers.go says why). They are compiled by
;; `npm run build:numbers` into numbers.wasm, which is committed. They call nothing and use nothing but the memory, so
;; that their bodies can be taken as they are; hence one loop is here twice.
(module
  (memory 1)

  ;; Whether the text is an int64 as OPA's evaluator sees it (util.Atoi64): `1.0` and `+1` are, `1e0` is not, nor is what
  ;; has more than 19 characters after its sign. Result: 0, and the integer at $result; else -1.
  (func (export "opa_atoi64") (param $at i32) (param $length i32) (param $result i32) (result i32)
    (local $negative i32) (local $point i32) (local $end i32) (local $digit i32) (local $integer i64)
    (if (i32.le_s (local.get $length) (i32.const 0)) (then (return (i32.const -1))))
    (local.set $digit (i32.load8_u (local.get $at)))
    (local.set $negative (i32.eq (local.get $digit) (i32.const 0x2d)))
    (if (i32.or (local.get $negative) (i32.eq (local.get $digit) (i32.const 0x2b)))
      (then
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))))
    (if (i32.gt_u (i32.sub (local.get $length) (i32.const 1)) (i32.const 18)) (then (return (i32.const -1))))
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 0x30)))
      (if (i32.eq (local.get $digit) (i32.const -2))
        (then
          (if (local.get $point) (then (return (i32.const -1))))
          (local.set $point (i32.const 1)))
        (else
          ;; behind the point there may be zeros only
          (if (i32.gt_u (local.get $digit) (select (i32.const 0) (i32.const 9) (local.get $point)))
            (then (return (i32.const -1))))
          (if (i32.eqz (local.get $point))
            (then
              (local.set $integer
                (i64.add
                  (i64.mul (local.get $integer) (i64.const 10))
                  (i64.extend_i32_u (local.get $digit))))))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (if (local.get $negative)
      (then
        (local.set $integer (i64.sub (i64.const 0) (local.get $integer)))
        (if (i64.gt_s (local.get $integer) (i64.const 0)) (then (return (i32.const -1)))))
      (else
        (if (i64.lt_s (local.get $integer) (i64.const 0)) (then (return (i32.const -1))))))
    (i64.store (local.get $result) (local.get $integer))
    (i32.const 0))

  ;; The integer that a number is as an index or a count: that of its text, as above, or its own. OPA's own takes the
  ;; least and the largest int64 for none.
  (func (export "opa_number_try_int") (param $number i32) (param $result i32) (result i32)
    (local $at i32) (local $length i32)
    (local $negative i32) (local $point i32) (local $end i32) (local $digit i32) (local $integer i64)
    ;; represented as an int64 (1), or as text with its length (2)
    (if (i32.eq (i32.load8_u offset=1 (local.get $number)) (i32.const 1))
      (then
        (i64.store (local.get $result) (i64.load offset=8 (local.get $number)))
        (return (i32.const 0))))
    (local.set $at (i32.load offset=8 (local.get $number)))
    (local.set $length (i32.load offset=12 (local.get $number)))
    (if (i32.le_s (local.get $length) (i32.const 0)) (then (return (i32.const -1))))
    (local.set $digit (i32.load8_u (local.get $at)))
    (local.set $negative (i32.eq (local.get $digit) (i32.const 0x2d)))
    (if (i32.or (local.get $negative) (i32.eq (local.get $digit) (i32.const 0x2b)))
      (then
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))))
    (if (i32.gt_u (i32.sub (local.get $length) (i32.const 1)) (i32.const 18)) (then (return (i32.const -1))))
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 0x30)))
      (if (i32.eq (local.get $digit) (i32.const -2))
        (then
          (if (local.get $point) (then (return (i32.const -1))))
          (local.set $point (i32.const 1)))
        (else
          ;; behind the point there may be zeros only
          (if (i32.gt_u (local.get $digit) (select (i32.const 0) (i32.const 9) (local.get $point)))
            (then (return (i32.const -1))))
          (if (i32.eqz (local.get $point))
            (then
              (local.set $integer
                (i64.add
                  (i64.mul (local.get $integer) (i64.const 10))
                  (i64.extend_i32_u (local.get $digit))))))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (if (local.get $negative)
      (then
        (local.set $integer (i64.sub (i64.const 0) (local.get $integer)))
        (if (i64.gt_s (local.get $integer) (i64.const 0)) (then (return (i32.const -1)))))
      (else
        (if (i64.lt_s (local.get $integer) (i64.const 0)) (then (return (i32.const -1))))))
    (i64.store (local.get $result) (local.get $integer))
    (i32.const 0))

  ;; What a number is hashed by: the same bits for the same number, however it is written. $digits are its first
  ;; significant ones, up to 19, and $power is that of 10 of the last of them. An integer that has no more digits gives
  ;; the float64 that an integer without text is hashed by; anything else a mixture of the two.
  ;; Result: 0, and eight bytes at $result; -2 for what is no number.
  (func (export "opa_atof64") (param $at i32) (param $length i32) (param $result i32) (result i32)
    (local $negative i32) (local $point i32) (local $end i32) (local $digit i32)
    (local $digits i64) (local $count i32) (local $after i32) (local $power i32)
    (local $exponent i32) (local $isBelow i32)
    (if (i32.le_s (local.get $length) (i32.const 0)) (then (return (i32.const -1))))
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (local.set $digit (i32.load8_u (local.get $at)))
    (local.set $negative (i32.eq (local.get $digit) (i32.const 0x2d)))
    (if (i32.or (local.get $negative) (i32.eq (local.get $digit) (i32.const 0x2b)))
      (then (local.set $at (i32.add (local.get $at) (i32.const 1)))))
    (block $mantissa
      (loop $next
        (br_if $mantissa (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 0x30)))
        (if (i32.eq (local.get $digit) (i32.const -2))
          (then (local.set $point (i32.const 1)))
          (else
            (br_if $mantissa (i32.gt_u (local.get $digit) (i32.const 9)))
            (local.set $power (i32.sub (local.get $power) (local.get $point)))
            ;; digits since the last that was kept: zeros that may be the last ones, and all beyond the 19th
            (if (i32.or (local.get $count) (local.get $digit))
              (then (local.set $after (i32.add (local.get $after) (i32.const 1)))))
            (if (local.get $digit)
              (then
                (if (i32.gt_s (i32.add (local.get $count) (local.get $after)) (i32.const 19))
                  (then (local.set $count (i32.const 20)))
                  (else
                    (local.set $count (i32.add (local.get $count) (local.get $after)))
                    (loop $shift
                      (local.set $digits (i64.mul (local.get $digits) (i64.const 10)))
                      (local.set $after (i32.sub (local.get $after) (i32.const 1)))
                      (br_if $shift (local.get $after)))
                    (local.set $digits
                      (i64.add (local.get $digits) (i64.extend_i32_u (local.get $digit))))))))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (if (i32.lt_u (local.get $at) (local.get $end))
      (then
        (if (i32.ne (i32.or (i32.load8_u (local.get $at)) (i32.const 0x20)) (i32.const 0x65))
          (then (return (i32.const -2))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.lt_u (local.get $at) (local.get $end))
          (then
            (local.set $digit (i32.load8_u (local.get $at)))
            (local.set $isBelow (i32.eq (local.get $digit) (i32.const 0x2d)))
            (if (i32.or (local.get $isBelow) (i32.eq (local.get $digit) (i32.const 0x2b)))
              (then (local.set $at (i32.add (local.get $at) (i32.const 1)))))))
        (block $read
          (loop $next
            (br_if $read (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 0x30)))
            (if (i32.gt_u (local.get $digit) (i32.const 9)) (then (return (i32.const -2))))
            (local.set $exponent
              (i32.add (i32.mul (local.get $exponent) (i32.const 10)) (local.get $digit)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
        (if (local.get $isBelow)
          (then (local.set $exponent (i32.sub (i32.const 0) (local.get $exponent)))))))
    (local.set $power
      (i32.add (i32.add (local.get $power) (local.get $after)) (local.get $exponent)))
    (if (i64.eqz (local.get $digits))
      (then
        (i64.store (local.get $result) (i64.const 0))
        (return (i32.const 0))))
    ;; as unsigned numbers: a negative power is a large one
    (if (i32.le_u (local.get $power) (i32.const 18))
      (then
        (if (i32.le_u (i32.add (local.get $power) (local.get $count)) (i32.const 19))
          (then
            (block $shifted
              (loop $shift
                (br_if $shifted (i32.eqz (local.get $power)))
                (local.set $digits (i64.mul (local.get $digits) (i64.const 10)))
                (local.set $power (i32.sub (local.get $power) (i32.const 1)))
                (br $shift)))
            (f64.store (local.get $result)
              (f64.mul
                (f64.convert_i64_u (local.get $digits))
                (select (f64.const -1) (f64.const 1) (local.get $negative))))
            (return (i32.const 0))))))
    (i64.store (local.get $result)
      (i64.xor
        (i64.add
          (local.get $digits)
          (i64.mul (i64.extend_i32_s (local.get $power)) (i64.const 0x9e3779b97f4a7c15)))
        (i64.sub (i64.const 0) (i64.extend_i32_u (local.get $negative)))))
    (i32.const 0)))
