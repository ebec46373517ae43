"""The mean middle sagittal slice of four measured T1 heads in pixels of 4 mm; decnn.checks.orientation reads it.

Written by Testing/tools/sagittal_template.py, which names the heads. Levels of 1/160; 255: not known.
"""

SHAPE = (45, 60)
PICTURE = (
    "eNptlvlTWucexgWOS5ImWk3UpknVRI3WNSGkKCiLWhBklV0BBQ0IChJRo2ISNtlkX2RHFkXrGk1M2rR3bjOdzty5f1QvaqzJnT4/nDNn5nze5/"
    "s+5/ue9/3rr1PBmUL6wACFQqIw6IOCEQ6DSSNTmFL5hEgqt8sZaKqEg0L0MQWiGaNRyaeMadkdLd/m553pPhaH7u5CdP7QgURhUV0oFBLRiSKy"
    "WbwBPJVGwPfyJexOeCcGT2IK+Sw8EiektdZWFIByAufXk+gUAplKIRBJVNogk0HpZ/AUGrlCxeOODU1IFi3LSrFQLJFPTM+oFQpCD38IWldZBA"
    "LnBNzGEgb6KXQ6ncnmcLhDI+PiUYFhkSefoo8qZPPPPD6DZt6gUz5VK9TzshkJepTbW1deeMYWlT5B9f6I68eRKDQ6g06jcCm9OHofXjQ2PCSR"
    "STTxsG152eXVS/jyceWEdIbLE+C/L8vPsflXi4sburFEEokyyKQRiHhCH/ZRdc29eiiLP0jkSZSroa2ow+NZXVyc4oqHRbJpGV828KgEAgJfLS"
    "0pL/4Giu5n0ygkEg6D7fuxG1ZfWVbe2Emk9hLF2o2NxH40lA7b1ArVFF/EFagXJqXC9q8BEKTs1q2K62XteBw5F2gvBonshEMbvi0vq4Bi+8nD"
    "ckf6l+Ot7fD6wYbfbpmbkI9NiGRL0xJF+zcAqLCs9Na3JZUoGgaFxqDRaAyy42HD/Zo7d2p6iCTyuD6x/fvb3dja5l4yFPKb5tTzM1OSmamxWX"
    "RNIaio7Gbl3a/rGRRoW2euXgwS8bi+uvrunRbyhIzNV/pSB/863o/7E5lIKrlmszt0c08F41PSZ5S6AhDk67tVdRUoPqK29gfUQA8C1YeFNVbd"
    "qesYeqoYGnke3Pvtw8nrgNu7fvhT1BNNBFcXBQwWTz7Pf1AIAgE3btfcJgy0VN2DYigDP5KpTCalt5vM7MPjSXzNxsfffz7JWvyJw+OdRCTh89"
    "inxYzh/kG5uuHaaVtdragmImvv1CC5QjaNxmAw6FTOGJc+gO2hP9//4+OHw+CKP3V4tJmMxfyWhbmZ8SESiqdpKQadNkdhNeVxZcU9yqhohM/h"
    "sjm8IRaXS6UwieyZ3X9/fP86ury2nd7JRpPJmNlgMqiGRVjCS3jJWV+By4mwyputDL6Az2UxmUwuh8MRj4unxHPmt3/++eHQ/SKYTWd8Zo/Pan"
    "Cu+YwSNr5D13vuCy7Dwm6Xw9nCEaFIyOdx2ayRcemCweWOJP74738+Hto1Zk84sW6xenyxVCbus7E6W4yUr0BncCkKdvcumkrn8Tmjo2LJU5lK"
    "+Vyr9/gcoaNff/41q5PpnaFk2K4xuIKpzfWgQwVvNA0WnbPFXfCqxh4akyVUTE4v6p3BsNPtCqWdtlh6e3/X81Krd62FHHZfOJpIxqJrzvnHTR"
    "Y2ADrTV/CuplY0jjM2qV4yutcPjxIum9mazmbfHB3vxh3mV881DrcrsJHdysQD3phXDYXpaJAzFHwF1tdU300XzWpfmlzO7PvtFeOK0RDff/v+"
    "w7udqH9VZzUYrWuh4GY6FI9F/HbZQ7gJdc6CCn8YqK3BCmaMq06bJRE/PvEYdAsLls2jk7eH2bDD5Y0lwi6HN7kRz2S2NteMw21d9ibwuW9JD6"
    "22Gj06qzNZjL5wZOPX18ansimVPb29nfKY/Nn0u61sMBgKZnZ3srsZxwtiG0F/54wFA6VIwYOaTv6sxWu0mhzhnd3XW1qpgD++bLNbTJ6tvXe/"
    "HG5lgutrkb3s1m7Sp3zSLJaXnftCCh5J22qeiJZXVhw2nTsSP3qzk/DopkRS1eKKd/PnNweHJ9vpRDYSynVXMmBmNbcuk6+dTxcMuTeO/76VNW"
    "d26HV6nTW0sbefTSbT0eD61s7B8fbO/t5BIpDaS/k9qe2kV41sRurb80Gf4DK6oruxX/nKanUu6425VLYP9jeT8XgsGk9v7r99c3y0E/emskGX"
    "Px0z8JtbeMrbnz5vLuimWWobbPiFy+a0By02u9Mb++nw5O3+/sHxycFmNpOMR9OZaDputgZdSkwjVN9bArlggXKqvB1KmtZb7EGbwxPw2FbXgp"
    "GN/ddHP2XSqc1QYNVoDwd8XvuSe5Hd1syeayj8m4UUPJwgN2GYGo3XZ7Ra/CGv2RKIRsPBYCKVymwlE4GoPxRPu1bUz2XotoevBm4C4L9988so"
    "z2BtuKEZy4rTYbOuen1Wm9cbi4d8nmAwEgs5/b6EN7HuXB6jtTcJnjUXXbIQIL9pdLYB1sdXm1d9YbfT7I27LdaA2+cIRLyrPrfL6Y5abU6Teh"
    "jWDtNTi4HPWAhQ1CNT1XXiuCqN3XHaI36PxR0w5vrX53d7ncGgLmJaMsyI0O31y9KGgs9ZAACKqZPPGrqJFJnGsOpzuXwmnWfNHA1FLF6fI7cs"
    "tf6XMpUQ//i+ZLrrRu510KVvzvkmfWoBCiPQOZMvzHajw2hw2XQ2l9/s8DotK45ZtXyUQ4Q3srT91fkAAPmSzb9JluoIDfB++pBEpTasrKxotS"
    "az7ZXWumpZWs5tBoNUxPdEA/9RIQD5PxYMAUpxYq30YR0US2Xw5QvzSvnU8+XFpaUX2qVxiVggoMNaCc8E6Gu5ii/ZPMi5gOtwweIL5sPaWlg/"
    "Y2iIzx+bnlOrFJOKEVpuUyd0wIhSIfH2KXoZVR74Ar5SS5zWqFjIprr27h5Mbz9tkDVIZggFwxwyDoFgTonINQX/xJ5d8m81EZSvFiaJCBgcgy"
    "OSKPTcUYBFw/eiEEi6TISvOkdPY8773Bd8drtSUQtnyuemeT1oDLafSqUR+9BdiCetXaNKTmdlIXDB5l36XpSdi+xK6XdNCKpoQsLpe9xYe+9+"
    "beMjNGdaNYx9cCMfuGTzLlb/p5rB52MAV29+1wjDUrmjTyUSuUwuFXPwHc3fXJiexpyXl/flfC/nDYEU3iivetAChXeh0N1waFNVaREA/CN7Uf"
    "FF3Z9iL7h6vSR3ICm9fjUXUe4ZgHxiwaC8L3XxB/oHfTE05Nz2fz14YQM="
)
