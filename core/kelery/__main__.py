from kelery.cli import main

main()
